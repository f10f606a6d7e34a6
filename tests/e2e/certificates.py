"""Certificates made by the openssl command, as somebody makes them by hand."""

import os

from harness import run


class Authority:
    """A certificate authority in a folder."""

    def __init__(self, folder, name="authority"):
        self.folder, self.name = folder, name
        self.cert, self.key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        run(["openssl", "req", "-x509", *self.new_key(self.key), "-days", "30", "-subj", f"/CN={name}", "-out", self.cert,
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"])

    def path(self, name):
        return os.path.join(self.folder, name)

    def new_key(self, path):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc", "-keyout", path]

    def issue(self, name, days=30, names="DNS:localhost,IP:127.0.0.1"):
        """Paths of a certificate and its key. With a negative number of days it has expired."""
        cert, key, request, extensions = (self.path(f"{name}.{kind}") for kind in ("pem", "key", "csr", "ext"))
        run(["openssl", "req", *self.new_key(key), "-subj", f"/CN={name}", "-out", request])
        with open(extensions, "w") as file:
            file.write(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
        run(["openssl", "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
             "-days", str(days), "-extfile", extensions, "-out", cert])
        for path in (cert, key):
            os.chmod(path, 0o644)
        return cert, key
