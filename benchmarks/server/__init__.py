"""What the web server carries: real views under load, beside a bare one on the same server."""
