"""Files of other annotation programs, read and written: what is exported can be corrected and come back."""
