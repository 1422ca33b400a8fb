# Brings the tables up to date, and makes the two logins that the services use. Run it before each new version
# of the services. It alone has the password of the database's owner.
#
# Secrets, made by secrets.sh: nomad/jobs/voting-migrate with `owner_password`, `worker_password` and
# `result_password`.

variable "driver" {
  description = "docker, exec or raw_exec"
  type        = string
  default     = "docker"

  validation {
    condition     = contains(["docker", "exec", "raw_exec"], var.driver)
    error_message = "The driver is docker, exec or raw_exec."
  }
}

variable "image" {
  description = "For docker"
  type        = string
  default     = "voting:latest"
}

variable "postgres_image" {
  description = "For docker: has psql"
  type        = string
  default     = "docker.io/library/postgres:15-bookworm"
}

variable "bin_dir" {
  description = "Where the programs of the voting system are, for exec and raw_exec"
  type        = string
  default     = "/usr/bin"
}

variable "postgres_bin" {
  description = "Where the programs of Postgres are, for exec and raw_exec"
  type        = string
  default     = "/usr/lib/postgresql/15/bin"
}

variable "user" {
  description = "Whom the programs run as"
  type        = object({ name = string, uid = number, gid = number })
  default     = { name = "nobody", uid = 65534, gid = 65534 }
}

variable "postgres_address" {
  description = "host:port of a Postgres that is no job of this Nomad; its owner is `voting`, as is its database"
  type        = string
  default     = ""
}

variable "postgres_options" {
  description = "The end of the address of Postgres, as of the job voting"
  type        = string
  default     = ""
}

locals {
  in_docker = var.driver == "docker"
  postgres  = var.postgres_address != "" ? var.postgres_address : local.found
  # While there is no such service, this asks for a variable that nobody makes, and so waits.
  found = <<EOT
{{- with nomadService "voting-postgres" }}{{ with index . 0 }}{{ .Address }}:{{ .Port }}{{ end }}
{{- else }}{{ with nomadVar (printf "nomad/jobs/voting-migrate/migrate/%s" (env "NOMAD_TASK_NAME")) }}{{ end }}
{{- end -}}
EOT
}

job "voting-migrate" {
  type = "batch"

  meta {
    # Else a job that has run would not run again.
    run = uuidv4()
  }

  group "migrate" {
    restart {
      attempts = 10
      interval = "10m"
      delay    = "5s"
      mode     = "fail"
    }

    task "tables" {
      lifecycle {
        hook = "prestart"
      }

      driver = var.driver
      user   = local.in_docker ? "${var.user.uid}:${var.user.gid}" : var.user.name

      dynamic "config" {
        for_each = local.in_docker ? [var.image] : []
        content {
          image      = config.value
          entrypoint = ["voting"]
          args       = ["migrate", "--create-roles"]
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : ["${var.bin_dir}/voting"]
        content {
          command = config.value
          args    = ["migrate", "--create-roles"]
        }
      }

      env = {
        VOTING_POSTGRES__URL_FILE = "${NOMAD_SECRETS_DIR}/postgres"
      }

      template {
        destination = "secrets/postgres"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "postgres://voting:{{ with nomadVar \"nomad/jobs/voting-migrate\" }}{{ .owner_password }}{{ end }}@${local.postgres}/voting${var.postgres_options}"
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }

    task "logins" {
      driver = var.driver
      user   = local.in_docker ? "${var.user.uid}:${var.user.gid}" : var.user.name

      dynamic "config" {
        for_each = local.in_docker ? [var.postgres_image] : []
        content {
          image      = config.value
          entrypoint = ["/bin/sh", "/local/logins.sh"]
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : ["/bin/sh"]
        content {
          command = config.value
          args    = ["${NOMAD_TASK_DIR}/logins.sh"]
        }
      }

      env = {
        PGPASSFILE = "${NOMAD_SECRETS_DIR}/pgpass"
      }

      template {
        destination = "local/logins.sh"
        data        = <<EOT
PATH='${var.postgres_bin}':"$PATH"
exec psql --no-psqlrc --file "$NOMAD_SECRETS_DIR/logins.sql" \
  --dbname 'postgres://voting@${local.postgres}/voting${var.postgres_options}'
EOT
      }

      template {
        destination = "secrets/pgpass"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "*:*:*:*:{{ with nomadVar \"nomad/jobs/voting-migrate\" }}{{ .owner_password }}{{ end }}\n"
      }

      # Doing it again gives the logins their present passwords.
      template {
        destination = "secrets/logins.sql"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = <<EOT
\set ON_ERROR_STOP on
SELECT format('CREATE ROLE %I', login)
FROM unnest(ARRAY['voting_worker_login', 'voting_result_login']) AS login
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) \gexec
GRANT voting_worker TO voting_worker_login;
GRANT voting_result TO voting_result_login;
{{ with nomadVar "nomad/jobs/voting-migrate" }}
ALTER ROLE voting_worker_login LOGIN PASSWORD '{{ .worker_password }}';
ALTER ROLE voting_result_login LOGIN PASSWORD '{{ .result_password }}';
{{ end }}
EOT
      }

      resources {
        cpu    = 100
        memory = 64
      }
    }
  }
}
