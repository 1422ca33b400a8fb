# Redis, the log of ballots, and Postgres, where they are counted. Each keeps its data on a volume of one client
# and never runs twice: its job has no canary, and a client that is cut off is waited for.
#
# Secrets, made by secrets.sh: nomad/jobs/voting-stores/redis and …/postgres, each with `password`.

variable "driver" {
  description = "docker, exec or raw_exec"
  type        = string
  default     = "docker"

  validation {
    condition     = contains(["docker", "exec", "raw_exec"], var.driver)
    error_message = "The driver is docker, exec or raw_exec."
  }
}

variable "redis_image" {
  description = "For docker"
  type        = string
  default     = "docker.io/library/redis:8.0"
}

variable "postgres_image" {
  description = "For docker"
  type        = string
  default     = "docker.io/library/postgres:15-bookworm"
}

variable "postgres_bin" {
  description = "Where the programs of Postgres are, for exec and raw_exec"
  type        = string
  default     = "/usr/lib/postgresql/15/bin"
}

variable "redis_port" {
  description = "Fixed, so that a new Redis is where the old one was"
  type        = number
  default     = 6379
}

variable "postgres_port" {
  description = "Fixed, so that a new Postgres is where the old one was"
  type        = number
  default     = 5432
}

variable "redis_user" {
  description = "Whom Redis runs as; the volume is this user's"
  type        = object({ name = string, uid = number, gid = number })
  default     = { name = "redis", uid = 999, gid = 999 }
}

variable "postgres_user" {
  description = "Whom Postgres runs as, not root; the volume is this user's"
  type        = object({ name = string, uid = number, gid = number })
  default     = { name = "postgres", uid = 999, gid = 999 }
}

variable "redis_dir" {
  description = "For raw_exec, which mounts no volumes: the volume's path on the client"
  type        = string
  default     = ""
}

variable "postgres_dir" {
  description = "For raw_exec, which mounts no volumes: the volume's path on the client"
  type        = string
  default     = ""
}

variable "redis_memory" {
  description = "MiB. Redis refuses ballots at 60 % of it, since it needs more while it writes its log anew"
  type        = number
  default     = 1024
}

variable "postgres_memory" {
  description = "MiB"
  type        = number
  default     = 1024
}

locals {
  in_docker    = var.driver == "docker"
  mounts       = var.driver != "raw_exec"
  redis_dir    = local.mounts ? "/data" : var.redis_dir
  postgres_dir = local.mounts ? "/data" : var.postgres_dir
}

job "voting-stores" {
  # No canary: it would be a second one.
  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "5s"
    healthy_deadline  = "3m"
    progress_deadline = "0s" # the first that fails ends the deployment
    auto_revert       = true
  }

  group "redis" {
    count = 1

    # Sticky: once it has run, only on that volume again, and never on an empty one of the same name.
    volume "data" {
      type            = "host"
      source          = "voting-redis"
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
      sticky          = true
    }

    # A client that is not heard of may well go on: what it runs is not replaced, and kept when it is back.
    disconnect {
      lost_after = "8760h"
      replace    = false
      reconcile  = "keep_original"
    }

    # Again and again, on the same client: the data is nowhere else.
    restart {
      attempts = 5
      interval = "1m"
      delay    = "2s"
      mode     = "delay"
    }

    network {
      port "redis" {
        static = var.redis_port
      }
    }

    service {
      name     = "voting-redis"
      port     = "redis"
      provider = "nomad"

      # Whether it is durable is what the vote service looks at before it is ready.
      check {
        name     = "listening"
        type     = "tcp"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "redis" {
      driver       = var.driver
      user         = local.in_docker ? "${var.redis_user.uid}:${var.redis_user.gid}" : var.redis_user.name
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      dynamic "config" {
        for_each = local.in_docker ? [var.redis_image] : []
        content {
          image      = config.value
          ports      = ["redis"]
          entrypoint = ["/bin/sh", "/local/start.sh"]
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : ["/bin/sh"]
        content {
          command = config.value
          args    = ["${NOMAD_TASK_DIR}/start.sh"]
        }
      }

      dynamic "volume_mount" {
        for_each = local.mounts ? [local.redis_dir] : []
        content {
          volume      = "data"
          destination = volume_mount.value
        }
      }

      # Not a task of its own: this is to be done before each start, also after a crash.
      template {
        destination = "local/start.sh"
        data        = <<EOT
set -eu
cd '${local.redis_dir}'
# Cut off what a power cut has torn; nothing that was acknowledged.
log=appendonlydir/appendonly.aof.manifest
if [ -e "$log" ]; then echo y | redis-check-aof --fix "$log"; fi
exec redis-server "$NOMAD_SECRETS_DIR/redis.conf"
EOT
      }

      template {
        destination = "secrets/redis.conf"
        perms       = "0400"
        uid         = var.redis_user.uid
        gid         = var.redis_user.gid
        data        = <<EOT
bind ${local.in_docker ? "0.0.0.0" : "{{ env \"NOMAD_IP_redis\" }}"}
port {{ env "NOMAD_PORT_redis" }}
dir ${local.redis_dir}
{{ with nomadVar "nomad/jobs/voting-stores/redis" }}requirepass {{ .password }}{{ end }}
# What makes an acknowledged ballot durable.
appendonly yes
appendfsync always
no-appendfsync-on-rewrite no
aof-load-truncated no
save ""
# What does not fit is refused, not thrown out.
maxmemory ${floor(var.redis_memory * 0.6)}mb
maxmemory-policy noeviction
EOT
      }

      resources {
        cpu    = 500
        memory = var.redis_memory
      }
    }
  }

  group "postgres" {
    count = 1

    volume "data" {
      type            = "host"
      source          = "voting-postgres"
      access_mode     = "single-node-single-writer"
      attachment_mode = "file-system"
      sticky          = true
    }

    disconnect {
      lost_after = "8760h"
      replace    = false
      reconcile  = "keep_original"
    }

    restart {
      attempts = 5
      interval = "1m"
      delay    = "2s"
      mode     = "delay"
    }

    network {
      port "postgres" {
        static = var.postgres_port
      }
    }

    service {
      name     = "voting-postgres"
      port     = "postgres"
      provider = "nomad"

      check {
        name     = "listening"
        type     = "tcp"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "postgres" {
      driver = var.driver
      user   = local.in_docker ? "${var.postgres_user.uid}:${var.postgres_user.gid}" : var.postgres_user.name
      # Ends the sessions. On SIGTERM it would wait until they end by themselves.
      kill_signal  = "SIGINT"
      kill_timeout = "30s"

      dynamic "config" {
        for_each = local.in_docker ? [var.postgres_image] : []
        content {
          image      = config.value
          ports      = ["postgres"]
          entrypoint = ["/bin/sh", "/local/start.sh"]
          shm_size   = 268435456
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : ["/bin/sh"]
        content {
          command = config.value
          args    = ["${NOMAD_TASK_DIR}/start.sh"]
        }
      }

      dynamic "volume_mount" {
        for_each = local.mounts ? [local.postgres_dir] : []
        content {
          volume      = "data"
          destination = volume_mount.value
        }
      }

      template {
        destination = "local/start.sh"
        data        = <<EOT
set -eu
PATH='${var.postgres_bin}':"$PATH"
cd '${local.postgres_dir}'
# Made aside: it is there whole or not at all.
if [ ! -e data ]; then
  rm -rf new
  initdb --pgdata new --username voting --pwfile "$NOMAD_SECRETS_DIR/password" \
    --auth scram-sha-256 --encoding UTF8 --locale C.UTF-8 --data-checksums
  echo 'CREATE DATABASE voting' | postgres --single -D new postgres
  mv new data
  sync
fi
exec postgres -D data -c port="$NOMAD_PORT_postgres" \
  -c listen_addresses=${local.in_docker ? "0.0.0.0" : "\"$NOMAD_IP_postgres\""} \
  -c hba_file="$NOMAD_TASK_DIR/pg_hba.conf" -c unix_socket_directories=
EOT
      }

      template {
        destination = "local/pg_hba.conf"
        data        = "host all all all scram-sha-256\n"
      }

      # Read once, when the database is made.
      template {
        destination = "secrets/password"
        change_mode = "noop"
        perms       = "0400"
        uid         = var.postgres_user.uid
        gid         = var.postgres_user.gid
        data        = "{{ with nomadVar \"nomad/jobs/voting-stores/postgres\" }}{{ .password }}{{ end }}\n"
      }

      resources {
        cpu    = 500
        memory = var.postgres_memory
      }
    }
  }
}
