# Where Redis keeps the log of ballots: a folder that one client makes. Whoever loses it loses what is not
# counted yet.
name      = "voting-redis"
type      = "host"
plugin_id = "mkdir"

capability {
  access_mode     = "single-node-single-writer"
  attachment_mode = "file-system"
}

# The owner's numbers are those of the user `redis` in the official image.
parameters {
  mode = "0700"
  uid  = "999"
  gid  = "999"
}
