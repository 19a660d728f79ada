"""What one trial is: its model, loss, data, training and measuring, and the Ray trainables around them."""
