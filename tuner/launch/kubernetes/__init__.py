"""A study's workers on Kubernetes, as data: an Indexed Job, or a Ray cluster that workers are launched on.

Workers share the study's database and nothing else, so that a pod may come and go at any time. What has a password
comes from a Secret and is not in a manifest.
"""
