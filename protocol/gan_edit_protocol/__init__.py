"""What travels between the GAN Edit plug-in (or command line) and its engine. Standard library and pyzmq only.

Reading order: ``settings`` (every option, defined once, each of them a ``spec``), ``requests`` and ``events`` (what is
asked and answered, of ``arrays``, a ``latent`` and places in a photo, its ``geometry``), ``entries`` and ``wire``
(their bytes), ``connection`` (where the engine is and its keys), ``transport`` (the socket), ``client`` (one job from
start to end), ``launch`` (start an engine when none answers).
"""

PROTOCOL_VERSION = 4
"""Version of the wire specification in docs/protocol.md; both sides must agree on it for jobs, while status and end are
understood by every version. Apart from the package's version."""
