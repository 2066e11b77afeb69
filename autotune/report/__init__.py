"""What a person or a production system reads: tables and files."""
