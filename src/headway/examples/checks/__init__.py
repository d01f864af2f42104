"""What is wrong with the data before any training: a finding for each thing that was looked for."""
