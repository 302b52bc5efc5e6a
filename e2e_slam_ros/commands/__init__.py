"""The subcommands of ``e2e-slam``, one a file."""
