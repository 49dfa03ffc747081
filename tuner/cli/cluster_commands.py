"""Commands for clusters."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from tuner.cli.app import Overrides, SpecFile, app, say

_WORKERS = typer.Option(
    "--workers", metavar="N", min=1, help="Number of workers. If omitted: the spec's `resources.workers`."
)


@app.command()
def manifest(
    spec: SpecFile,
    workers: Annotated[int | None, _WORKERS] = None,
    image: Annotated[
        str | None, typer.Option("--image", metavar="IMAGE", help="Container image of the workers.")
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", metavar="NAME", help="Namespace of the resources.")
    ] = "default",
    secret: Annotated[
        str,
        typer.Option("--secret", metavar="NAME", help="Secret whose key `url` holds the URL of the database."),
    ] = "tuner-storage",
    env_secrets: Annotated[
        list[str],
        typer.Option(
            "--env-secret",
            metavar="NAME",
            help="Secret whose keys become environment variables, for example AWS credentials. Repeatable.",
        ),
    ] = [],  # noqa: B006
    volumes: Annotated[
        list[str],
        typer.Option(
            "--volume",
            metavar="CLAIM:/path",
            help="PersistentVolumeClaim and the path at which to mount it in the workers. Repeatable.",
        ),
    ] = [],  # noqa: B006
    grace: Annotated[
        int,
        typer.Option(
            "--grace", min=1, metavar="SECONDS", help="Time that trials get to write checkpoints when a pod must stop."
        ),
    ] = 60,
    metrics_port: Annotated[
        int | None,
        typer.Option(
            "--metrics-port",
            metavar="PORT",
            min=1,
            max=65535,
            help="Port on which each pod of a Job serves its metrics to Prometheus.",
        ),
    ] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Write a KubeRay RayCluster instead of a Job.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="File to write to. If omitted: standard output.")
    ] = None,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Write the manifest that runs a study's workers on Kubernetes.

    The manifest holds an Indexed Job, or a RayCluster for KubeRay. Apply it with
    `tuner manifest SPEC.yaml | kubectl apply -f -`. The pods read the database's URL from a Secret; the manifest itself
    does not contain it.
    """
    from tuner.launch.kubernetes import checks, manifests, names, options, writing
    from tuner.spec.reading import load_spec

    loaded = load_spec(spec, overrides)
    kind = "gpu" if loaded.resources.gpus_per_worker else "cpu"
    wanted = options.PodsWanted(
        workers=workers or loaded.resources.workers,
        image=image or f"keras-champion:{version('keras-champion')}-{kind}",
        namespace=namespace,
        secret=secret,
        volumes=tuple(options.read_volume(each) for each in volumes),
        env_secrets=tuple(env_secrets),
        grace_seconds=grace,
        metrics_port=metrics_port,
    )
    make = manifests.ray_manifests if ray else manifests.job_manifests
    text = writing.as_yaml(make(loaded, wanted), ["Once, before it:", f"  {writing.secret_command(wanted)}"])
    for warning in checks.code_to_ship(loaded, wanted):
        say(f"Warning: {warning}")
    if ray:
        say(f"Ray's address within the cluster: {names.ray_address(loaded.study, namespace)}")
    if output is None:
        typer.echo(text, nl=False)
    else:
        writing.write(text, output)
