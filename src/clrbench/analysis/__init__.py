"""From records to numbers: never imports torch or Lightning."""
