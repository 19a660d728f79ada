"""Measuring: latency, training speed, peak throughput and utilisation of the device that a trial runs on."""
