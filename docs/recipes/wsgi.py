# /srv/packages/wsgi.py
from a2wsgi import ASGIMiddleware

from pyodide_mirror.server import create_app

application = ASGIMiddleware(
    create_app(
        "/srv/wheels", cache="/var/cache/pyodide-mirror", public_url="https://packages.example"
    )
)
