-- The fingerprints of the secrets to which the log is held.
CREATE TABLE secrets (fingerprint TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
