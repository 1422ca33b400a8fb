# The three services. Any of them may run as often as you like, and twice for a while: a new version starts as a
# canary beside the old one, takes over when it is ready, and is taken back when it is not.
#
# Secrets, made by secrets.sh, of which each service reads its own: nomad/jobs/voting/vote with `secret`, `entry_key` and
# `redis_password`, …/worker with `token`, `entry_key`, `redis_password` and `postgres_password`, …/result with `secret` and
# `postgres_password`. Without an `entry_key`, entries of the log are not signed. `accept_unsigned_entries` is `false` in
# installations whose entries were signed from the first one on.

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

variable "bin_dir" {
  description = "Where the programs are, for exec and raw_exec"
  type        = string
  default     = "/usr/bin"
}

variable "user" {
  description = "Whom the services run as"
  type        = object({ name = string, uid = number, gid = number })
  default     = { name = "nobody", uid = 65534, gid = 65534 }
}

variable "votes" {
  description = "How many vote services"
  type        = number
  default     = 2
}

variable "workers" {
  description = "How many workers"
  type        = number
  default     = 2
}

variable "results" {
  description = "How many result services"
  type        = number
  default     = 2
}

variable "redis_address" {
  description = "host:port of a Redis that is no job of this Nomad"
  type        = string
  default     = ""
}

variable "postgres_address" {
  description = "host:port of a Postgres that is no job of this Nomad; several with commas"
  type        = string
  default     = ""
}

variable "sentinels" {
  description = "host:port of each Sentinel, with commas. redis_address is then the master's name; they have the password of Redis"
  type        = string
  default     = ""
}

variable "redis_replicas" {
  description = "How many replicas have a ballot on their disks before it is acknowledged: all of them"
  type        = number
  default     = 0
}

variable "postgres_options" {
  description = "The end of the address of Postgres: ?target_session_attrs=read-write where postgres_address names several"
  type        = string
  default     = ""
}

variable "vote_port" {
  description = "Where voters find the voting page: a port of the front"
  type        = number
  default     = 8080
}

variable "result_port" {
  description = "Where voters find the result: a port of the front"
  type        = number
  default     = 8081
}

variable "vote_url" {
  description = "The voting page's address, such as https://vote.example.org, if it is not the front's"
  type        = string
  default     = ""
}

variable "result_url" {
  description = "The result's address, such as https://result.example.org, if it is not the front's"
  type        = string
  default     = ""
}

variable "operator_url" {
  description = "The address of the host's pages, such as https://host.example.org, if a proxy publishes them"
  type        = string
  default     = ""
}

variable "trusted_proxies" {
  description = "Whose X-Forwarded-For is believed: the networks of the Nomad clients, where the front is"
  type        = string
  default     = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
}

variable "config" {
  description = "What is in a configuration file (TOML), such as polls, for all services"
  type        = string
  default     = ""
}

variable "settings" {
  description = "Further settings of all services, such as { VOTING_LOG = \"debug\" }"
  type        = map(string)
  default     = {}
}

locals {
  in_docker = var.driver == "docker"

  # As given: what looks like a template of Nomad is none.
  config = "# As given.\n${replace(var.config, "{{", "{{ `{{` }}")}"

  common = merge({
    # Still served, though no longer ready, until the front has noticed.
    VOTING_DRAIN_DELAY_MS = "3000"
    VOTING_LOG_FORMAT     = "json"
    # The front, which has the address of its client.
    VOTING_TRUSTED_PROXIES = "${var.trusted_proxies}"
    # For the pages' links to each other: where the front is.
    VOTING_VOTE__PUBLIC_PORT   = "${var.vote_port}"
    VOTING_RESULT__PUBLIC_PORT = "${var.result_port}"
  }, local.public, var.settings)
  urls = {
    VOTING_VOTE__PUBLIC_URL   = var.vote_url
    VOTING_RESULT__PUBLIC_URL = var.result_url
    VOTING_WORKER__PUBLIC_URL = var.operator_url
  }
  public = { for name, url in local.urls : name => url if url != "" }

  redis    = var.redis_address != "" ? var.redis_address : replace(local.found, "STORE", "redis")
  postgres = var.postgres_address != "" ? var.postgres_address : replace(local.found, "STORE", "postgres")
  # While there is no such service, this asks for a variable that nobody makes. So a task waits for its first
  # address, and one that has an address keeps it while the store is started anew.
  found = <<EOT
{{- with nomadService "voting-STORE" }}{{ with index . 0 }}{{ .Address }}:{{ .Port }}{{ end }}
{{- else }}{{ with nomadVar (printf "nomad/jobs/voting/%s/%s" (env "NOMAD_GROUP_NAME") (env "NOMAD_TASK_NAME")) }}{{ end }}
{{- end -}}
EOT
}

job "voting" {
  # All canaries must be ready before any takes over, so a version comes whole or not at all.
  update {
    canary            = 1
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "10s"
    healthy_deadline  = "3m"
    progress_deadline = "0s" # the first that fails ends the deployment
    auto_promote      = true
    auto_revert       = true
  }

  # What has failed for good here is tried elsewhere, at most a minute later.
  reschedule {
    delay          = "5s"
    delay_function = "exponential"
    max_delay      = "1m"
    unlimited      = true
  }

  spread {
    attribute = "${node.unique.id}"
  }

  group "vote" {
    count = var.votes

    # Out of the front first, and only then told to stop.
    shutdown_delay = "6s"

    # It holds no state: others take its place, and one too many does no harm.
    disconnect {
      lost_after = "1h"
      replace    = true
      reconcile  = "keep_original"
    }

    restart {
      attempts = 3
      interval = "2m"
      delay    = "2s"
      mode     = "fail"
    }

    network {
      port "http" {
        to = -1
      }
    }

    service {
      name        = "voting-vote"
      port        = "http"
      provider    = "nomad"
      canary_tags = ["canary"]

      # Says whether a deployment goes on. It restarts nothing: while Redis is away no vote service is ready,
      # and none would be the better for a restart.
      check {
        name     = "ready"
        type     = "http"
        path     = "/readyz"
        interval = "3s"
        timeout  = "2s"
      }

      check {
        name     = "alive"
        type     = "http"
        path     = "/healthz"
        interval = "5s"
        timeout  = "2s"

        check_restart {
          limit = 3
          grace = "10s"
        }
      }
    }

    task "vote" {
      driver      = var.driver
      user        = local.in_docker ? "${var.user.uid}:${var.user.gid}" : var.user.name
      kill_signal = "SIGTERM"
      # It is done within 25 s of the signal.
      kill_timeout = "30s"

      dynamic "config" {
        for_each = local.in_docker ? [var.image] : []
        content {
          image      = config.value
          ports      = ["http"]
          entrypoint = ["voting-vote"]
          args       = ["--config", "/local/voting.toml"]
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : ["${var.bin_dir}/voting-vote"]
        content {
          command = config.value
          args    = ["--config", "${NOMAD_TASK_DIR}/voting.toml"]
        }
      }

      env = merge({
        VOTING_VOTE__LISTEN    = local.in_docker ? "0.0.0.0:${NOMAD_PORT_http}" : "${NOMAD_ADDR_http}"
        VOTING_SECRET_FILE     = "${NOMAD_SECRETS_DIR}/secret"
        VOTING_REDIS__URL_FILE = "${NOMAD_SECRETS_DIR}/redis"
        VOTING_REDIS__REPLICAS = "${var.redis_replicas}"
      }, local.common)

      template {
        destination = "local/voting.toml"
        data        = local.config
      }

      template {
        destination = "secrets/secret"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "{{ with nomadVar \"nomad/jobs/voting/vote\" }}{{ .secret }}{{ end }}"
      }

      # As a variable, since a file would have to have a key in it. An empty variable is not set.
      template {
        destination = "secrets/entry-key.env"
        env         = true
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "{{ with nomadVar \"nomad/jobs/voting/vote\" }}VOTING_ENTRY_KEY={{ .entry_key }}\nVOTING_ACCEPT_UNSIGNED_ENTRIES={{ .accept_unsigned_entries }}{{ end }}"
      }

      template {
        destination = "secrets/redis"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "redis://:{{ with nomadVar \"nomad/jobs/voting/vote\" }}{{ .redis_password }}{{ end }}@${local.redis}/"
      }

      # Empty without Sentinels.
      template {
        destination = "secrets/sentinels.env"
        env         = true
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "VOTING_REDIS__SENTINELS=${var.sentinels == "" ? "" : "redis://:{{ with nomadVar \"nomad/jobs/voting/vote\" }}{{ .redis_password }}{{ end }}@${replace(var.sentinels, ",", ",redis://:{{ with nomadVar \"nomad/jobs/voting/vote\" }}{{ .redis_password }}{{ end }}@")}"}"
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }

  group "worker" {
    count = var.workers

    shutdown_delay = "1s"

    # What one that is cut off has in hand goes to the others, whatever it does.
    disconnect {
      lost_after = "1h"
      replace    = true
      reconcile  = "keep_original"
    }

    restart {
      attempts = 3
      interval = "2m"
      delay    = "2s"
      mode     = "fail"
    }

    network {
      port "http" {
        to = -1
      }
    }

    service {
      name        = "voting-worker"
      port        = "http"
      provider    = "nomad"
      canary_tags = ["canary"]

      check {
        name     = "ready"
        type     = "http"
        path     = "/readyz"
        interval = "3s"
        timeout  = "2s"
      }

      check {
        name     = "alive"
        type     = "http"
        path     = "/healthz"
        interval = "5s"
        timeout  = "2s"

        check_restart {
          limit = 3
          grace = "10s"
        }
      }
    }

    task "worker" {
      driver       = var.driver
      user         = local.in_docker ? "${var.user.uid}:${var.user.gid}" : var.user.name
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      dynamic "config" {
        for_each = local.in_docker ? [var.image] : []
        content {
          image      = config.value
          ports      = ["http"]
          entrypoint = ["voting-worker"]
          args       = ["--config", "/local/voting.toml"]
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : ["${var.bin_dir}/voting-worker"]
        content {
          command = config.value
          args    = ["--config", "${NOMAD_TASK_DIR}/voting.toml"]
        }
      }

      env = merge({
        VOTING_WORKER__LISTEN     = local.in_docker ? "0.0.0.0:${NOMAD_PORT_http}" : "${NOMAD_ADDR_http}"
        VOTING_WORKER__TOKEN_FILE = "${NOMAD_SECRETS_DIR}/token"
        VOTING_REDIS__URL_FILE    = "${NOMAD_SECRETS_DIR}/redis"
        VOTING_REDIS__REPLICAS    = "${var.redis_replicas}"
        VOTING_POSTGRES__URL_FILE = "${NOMAD_SECRETS_DIR}/postgres"
      }, local.common)

      template {
        destination = "local/voting.toml"
        data        = local.config
      }

      template {
        destination = "secrets/token"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "{{ with nomadVar \"nomad/jobs/voting/worker\" }}{{ .token }}{{ end }}"
      }

      # As a variable, since a file would have to have a key in it. An empty variable is not set.
      template {
        destination = "secrets/entry-key.env"
        env         = true
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "{{ with nomadVar \"nomad/jobs/voting/worker\" }}VOTING_ENTRY_KEY={{ .entry_key }}\nVOTING_ACCEPT_UNSIGNED_ENTRIES={{ .accept_unsigned_entries }}{{ end }}"
      }

      template {
        destination = "secrets/redis"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "redis://:{{ with nomadVar \"nomad/jobs/voting/worker\" }}{{ .redis_password }}{{ end }}@${local.redis}/"
      }

      # Empty without Sentinels.
      template {
        destination = "secrets/sentinels.env"
        env         = true
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "VOTING_REDIS__SENTINELS=${var.sentinels == "" ? "" : "redis://:{{ with nomadVar \"nomad/jobs/voting/worker\" }}{{ .redis_password }}{{ end }}@${replace(var.sentinels, ",", ",redis://:{{ with nomadVar \"nomad/jobs/voting/worker\" }}{{ .redis_password }}{{ end }}@")}"}"
      }

      template {
        destination = "secrets/postgres"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "postgres://voting_worker_login:{{ with nomadVar \"nomad/jobs/voting/worker\" }}{{ .postgres_password }}{{ end }}@${local.postgres}/voting${var.postgres_options}"
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }

  group "result" {
    count = var.results

    shutdown_delay = "6s"

    disconnect {
      lost_after = "1h"
      replace    = true
      reconcile  = "keep_original"
    }

    restart {
      attempts = 3
      interval = "2m"
      delay    = "2s"
      mode     = "fail"
    }

    network {
      port "http" {
        to = -1
      }
    }

    service {
      name        = "voting-result"
      port        = "http"
      provider    = "nomad"
      canary_tags = ["canary"]

      check {
        name     = "ready"
        type     = "http"
        path     = "/readyz"
        interval = "3s"
        timeout  = "2s"
      }

      check {
        name     = "alive"
        type     = "http"
        path     = "/healthz"
        interval = "5s"
        timeout  = "2s"

        check_restart {
          limit = 3
          grace = "10s"
        }
      }
    }

    task "result" {
      driver       = var.driver
      user         = local.in_docker ? "${var.user.uid}:${var.user.gid}" : var.user.name
      kill_signal  = "SIGTERM"
      kill_timeout = "30s"

      dynamic "config" {
        for_each = local.in_docker ? [var.image] : []
        content {
          image      = config.value
          ports      = ["http"]
          entrypoint = ["voting-result"]
          args       = ["--config", "/local/voting.toml"]
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : ["${var.bin_dir}/voting-result"]
        content {
          command = config.value
          args    = ["--config", "${NOMAD_TASK_DIR}/voting.toml"]
        }
      }

      env = merge({
        VOTING_RESULT__LISTEN     = local.in_docker ? "0.0.0.0:${NOMAD_PORT_http}" : "${NOMAD_ADDR_http}"
        VOTING_SECRET_FILE        = "${NOMAD_SECRETS_DIR}/secret"
        VOTING_POSTGRES__URL_FILE = "${NOMAD_SECRETS_DIR}/postgres"
      }, local.common)

      template {
        destination = "local/voting.toml"
        data        = local.config
      }

      template {
        destination = "secrets/secret"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "{{ with nomadVar \"nomad/jobs/voting/result\" }}{{ .secret }}{{ end }}"
      }

      template {
        destination = "secrets/postgres"
        perms       = "0400"
        uid         = var.user.uid
        gid         = var.user.gid
        data        = "postgres://voting_result_login:{{ with nomadVar \"nomad/jobs/voting/result\" }}{{ .postgres_password }}{{ end }}@${local.postgres}/voting${var.postgres_options}"
      }

      resources {
        cpu    = 100
        memory = 128
      }
    }
  }
}
