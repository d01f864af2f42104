"""Model folders in the ecosystem's format: read, checked and written.

A family of models is one file in `families/`: how its `config.json` reads as an `ModelConfig`, and a table that
renames its weights. Everything else here works from those tables and names no family.

    hub.locate → tokenizer.load_tokenizer, load.load_classifier → … → save.save_classifier
"""
