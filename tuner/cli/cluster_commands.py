"""Commands for clusters."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import Overrides, SpecFile, app, say

_WORKERS = typer.Option("--workers", min=1, help="How many; resources.workers unless given.")


@app.command()
def manifest(
    spec: SpecFile,
    workers: Annotated[int | None, _WORKERS] = None,
    image: Annotated[str | None, typer.Option("--image", help="The workers' container image.")] = None,
    namespace: Annotated[str, typer.Option("--namespace")] = "default",
    secret: Annotated[
        str, typer.Option("--secret", metavar="NAME", help="The Secret whose key `url` is the database's URL.")
    ] = "tuner-storage",
    env_secrets: Annotated[
        list[str],
        typer.Option("--env-secret", metavar="NAME", help="A Secret of environment variables, such as AWS_...."),
    ] = [],  # noqa: B006
    volumes: Annotated[
        list[str],
        typer.Option("--volume", metavar="CLAIM:/path", help="A PersistentVolumeClaim, and where workers have it."),
    ] = [],  # noqa: B006
    grace: Annotated[
        int, typer.Option("--grace", min=1, metavar="SECONDS", help="For checkpoints when a pod must go.")
    ] = 60,
    metrics_port: Annotated[
        int | None, typer.Option("--metrics-port", min=1, max=65535, help="Where each pod of a Job answers Prometheus.")
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="A KubeRay RayCluster instead of a Job.")] = False,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Where to write it.")] = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Write what puts a study's workers on Kubernetes: an Indexed Job, or a RayCluster for KubeRay.

    `tuner manifest SPEC.yaml | kubectl apply -f -`. The database's URL is read from a Secret, and stands nowhere in it.
    """
    from tuner.launch import kubernetes
    from tuner.spec.reading import load_spec

    loaded = load_spec(spec, overrides)
    kind = "gpu" if loaded.resources.gpus_per_worker else "cpu"
    wanted = kubernetes.PodsWanted(
        workers=workers or loaded.resources.workers,
        image=image or f"keras-champion:{version('keras-champion')}-{kind}",
        namespace=namespace,
        secret=secret,
        volumes=tuple(kubernetes.read_volume(each) for each in volumes),
        env_secrets=tuple(env_secrets),
        grace_seconds=grace,
        metrics_port=metrics_port,
    )
    make = kubernetes.ray_manifests if ray else kubernetes.job_manifests
    text = kubernetes.as_yaml(make(loaded, wanted), ["Once, before it:", f"  {kubernetes.secret_command(wanted)}"])
    for warning in kubernetes.warnings(loaded, wanted):
        say(f"Warning: {warning}")
    if ray:
        say(f"Ray's address within the cluster: {kubernetes.ray_address(loaded.study, namespace)}")
    if output is None:
        typer.echo(text, nl=False)
    else:
        kubernetes.write(text, output)
