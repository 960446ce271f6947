"""What turns a network input into logits: one module per runtime, imported only when asked for."""
