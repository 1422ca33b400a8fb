# For a Nomad agent on one machine, to try the jobs on: nomad agent -dev -config nomad/dev.hcl
client {
  # Where volumes are. With raw_exec their users must get through to them.
  host_volumes_dir = "/srv/voting-volumes"

  # The jobs are for IPv4.
  preferred_address_family = "ipv4"

  # It is no cloud's machine, so no cloud is asked.
  options = {
    "fingerprint.denylist" = "env_aws,env_azure,env_digitalocean,env_gce"
  }
}
