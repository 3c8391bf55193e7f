"""What this machine gives: child processes, free ports and subnets, threads."""
