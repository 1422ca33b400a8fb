# Where Postgres keeps ballots and tallies: a folder that one client makes. Back it up.
name      = "voting-postgres"
type      = "host"
plugin_id = "mkdir"

capability {
  access_mode     = "single-node-single-writer"
  attachment_mode = "file-system"
}

# The owner's numbers are those of the user `postgres` in the official image.
parameters {
  mode = "0700"
  uid  = "999"
  gid  = "999"
}
