"""What a reviewer uses: check, diff, lint, plan, explain, view. Stands on top of the compiler."""
