# One address for voters, whatever the services behind it do: HAProxy, which learns from Nomad where they are and
# asks each whether it is ready. It follows a change without dropping a connection.

variable "driver" {
  description = "docker, exec or raw_exec"
  type        = string
  default     = "docker"

  validation {
    condition     = contains(["docker", "exec", "raw_exec"], var.driver)
    error_message = "The driver is docker, exec or raw_exec."
  }
}

variable "haproxy_image" {
  description = "For docker"
  type        = string
  default     = "docker.io/library/haproxy:3.2"
}

variable "haproxy" {
  description = "The program, for exec and raw_exec"
  type        = string
  default     = "/usr/sbin/haproxy"
}

variable "user" {
  description = "Whom it runs as"
  type        = object({ name = string, uid = number, gid = number })
  default     = { name = "nobody", uid = 65534, gid = 65534 }
}

variable "fronts" {
  description = "How many, each on a client of its own"
  type        = number
  default     = 1
}

variable "vote_port" {
  description = "Where voters find the voting page"
  type        = number
  default     = 8080
}

variable "result_port" {
  description = "Where voters find the result"
  type        = number
  default     = 8081
}

locals {
  in_docker = var.driver == "docker"
}

job "voting-front" {
  # The ports are fixed, so the old one must be gone before the new one starts on a client: one at a time.
  update {
    max_parallel      = 1
    health_check      = "checks"
    min_healthy_time  = "5s"
    healthy_deadline  = "2m"
    progress_deadline = "0s" # the first that fails ends the deployment
    auto_revert       = true
  }

  reschedule {
    delay          = "5s"
    delay_function = "constant"
    unlimited      = true
  }

  spread {
    attribute = "${node.unique.id}"
  }

  group "front" {
    count = var.fronts

    shutdown_delay = "1s"

    disconnect {
      lost_after = "1h"
      replace    = true
      reconcile  = "keep_original"
    }

    restart {
      attempts = 3
      interval = "1m"
      delay    = "1s"
      mode     = "delay"
    }

    network {
      port "vote" {
        static = var.vote_port
      }
      port "result" {
        static = var.result_port
      }
    }

    service {
      name     = "voting-front"
      port     = "vote"
      provider = "nomad"

      # It lives whether or not there is a service behind it.
      check {
        name     = "alive"
        type     = "http"
        path     = "/front-alive"
        interval = "5s"
        timeout  = "2s"

        check_restart {
          limit = 3
          grace = "10s"
        }
      }
    }

    task "haproxy" {
      driver = var.driver
      user   = local.in_docker ? "${var.user.uid}:${var.user.gid}" : var.user.name
      # Ends when the last request has its answer.
      kill_signal  = "SIGUSR1"
      kill_timeout = "30s"

      dynamic "config" {
        for_each = local.in_docker ? [var.haproxy_image] : []
        content {
          image      = config.value
          ports      = ["vote", "result"]
          entrypoint = ["haproxy", "-W", "-db", "-f", "/local/haproxy.cfg"]
        }
      }
      dynamic "config" {
        for_each = local.in_docker ? [] : [var.haproxy]
        content {
          command = config.value
          args    = ["-W", "-db", "-f", "${NOMAD_TASK_DIR}/haproxy.cfg"]
        }
      }

      template {
        destination   = "local/haproxy.cfg"
        change_mode   = "signal"
        change_signal = "SIGUSR2"
        splay         = "0s"

        # One change for all that come together. A service that starts is mostly ready when it gets in, and one
        # that stops is out before its shutdown_delay is over.
        wait {
          min = "2s"
          max = "4s"
        }

        data = <<EOT
global
  log stdout format raw local0 info
  # How long what was there before a change may still have open connections, such as live results.
  hard-stop-after 5m

defaults
  mode http
  log global
  # As `option httplog`, but with the path only, and without the code of a voter: a query may have a grant for a hidden
  # result, and whoever reads a code can vote with it.
  log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %HM %[var(txn.logged)]"
  # Only what went wrong.
  option dontlog-normal
  option forwardfor
  # At a change, a connection that waits for its next request is closed with the answer, not under the request.
  option idle-close-on-response
  timeout http-request 10s
  timeout http-keep-alive 60s
  timeout client 30s
  timeout connect 2s
  # More than the pause between two signs of life of the live result.
  timeout server 40s
  # Only what has not reached a service is tried again elsewhere.
  retries 3
  retry-on conn-failure
  option redispatch 1
  http-error status 503 hdr Retry-After 2 content-type text/plain string "Nobody is there to answer; try again."
  option httpchk GET /readyz
  # One that leaves says so at once and is out within 1.5 s. One that is only slow, as when the disk is, stays.
  default-server check inter 1s fastinter 500ms fall 2 rise 2
  timeout check 3s
.if version_atleast(3.1)
  default-server init-state down
.endif

{{- range $service, $port := parseJSON `{ "vote": "${var.vote_port}", "result": "${var.result_port}" }` }}

frontend {{ $service }}
  bind ${local.in_docker ? ":" : "{{ env \"NOMAD_IP_vote\" }}:"}{{ $port }}
  http-request set-var(txn.logged) path,regsub(/c/.*,/c/-)
  http-request return status 200 if { path /front-alive }
  # What operators ask is not for voters.
  http-request return status 404 if { path /metrics /readyz /healthz /openapi.json } || { path_beg /docs }
  default_backend {{ $service }}

backend {{ $service }}
{{- range nomadService (print "voting-" $service) }}
{{- if not (.Tags | contains "canary") }}
  server {{ .AllocID }} {{ .Address }}:{{ .Port }}
{{- end }}{{ end }}
{{- end }}
EOT
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
