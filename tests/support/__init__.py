"""The ground the tests stand on: a Pyodide without a CDN, a page server, and five engines."""
