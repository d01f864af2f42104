"""The file formats that carry a tokenizer beside `tokenizer.json`."""
