"""Sounds as people have them: files in and out."""
