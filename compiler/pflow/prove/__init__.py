"""`prove`: interpreter and generated classes side by side, on scripted results and a virtual clock."""
