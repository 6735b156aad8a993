# A rival's packages, compiled when they were installed: built once, and shared by its images.
ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY site/ /var/task/
