"""What `hostler generate` derives from a configuration."""
