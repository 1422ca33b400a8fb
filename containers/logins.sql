-- The logins of the worker and the result service, with the rights of the roles that `voting migrate
-- --create-roles` has made. Does no harm when it is done again.
\set worker `cat /run/secrets/worker`
\set result `cat /run/secrets/result`

SELECT format('CREATE ROLE %I LOGIN IN ROLE %I', login, 'voting_' || login)
FROM unnest(ARRAY['worker', 'result']) AS login
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login)
\gexec

ALTER ROLE worker PASSWORD :'worker';
ALTER ROLE result PASSWORD :'result';
