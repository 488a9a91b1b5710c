"""What Prometheus reads at /metrics. Nothing inside knows of it: the app's watches are told, and this counts.

    prometheus.py  the metrics
    shared.py      several workers that count together
    http.py        the route

Only `shared` may be imported before a site is known to be scraped: the others load prometheus-client.
"""
