"""A study seen from outside: Prometheus and Grafana, TensorBoard and MLflow, and a status that refreshes."""
