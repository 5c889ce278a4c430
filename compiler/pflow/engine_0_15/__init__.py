"""What pflow 0.15 reads differently from the present engine."""
