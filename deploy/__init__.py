"""How the service is run elsewhere: container image, Kubernetes manifests, Prometheus rules, Grafana dashboard."""
