{{- define "ray-cluster.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 53 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 53 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ray-cluster.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The pod template of a group: (dict "top" $ "group" its values "container" the Ray container's name). */}}
{{- define "ray-cluster.template" -}}
{{- $top := .top -}}
{{- $group := .group -}}
{{- $image := $group.image | default dict -}}
metadata:
  labels:
    # Nothing that changes with the chart's version: that would be another template.
    app.kubernetes.io/instance: {{ $top.Release.Name }}
    {{- with $group.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $group.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with $top.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- range $key := list "initContainers" "serviceAccountName" "restartPolicy" "runtimeClassName" "priorityClassName" "nodeSelector" "tolerations" "affinity" "volumes" "resourceClaims" "topologySpreadConstraints" }}
  {{- with get $group $key }}
  {{- toYaml (dict $key .) | nindent 2 }}
  {{- end }}
  {{- end }}
  {{- with $group.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
  - name: {{ .container }}
    image: {{ printf "%s:%v" ($image.repository | default $top.Values.image.repository) ($image.tag | default $top.Values.image.tag | default $top.Chart.AppVersion) | quote }}
    imagePullPolicy: {{ $image.pullPolicy | default $top.Values.image.pullPolicy }}
    {{- with concat ($top.Values.common.containerEnv | default list) ($group.containerEnv | default list) }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- range $key := list "command" "args" "envFrom" "ports" "resources" "securityContext" "volumeMounts" "lifecycle" }}
    {{- with get $group $key }}
    {{- toYaml (dict $key .) | nindent 4 }}
    {{- end }}
    {{- end }}
  {{- with $group.sidecarContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* A worker group: (dict "top" $ "group" its values "name" the group's name). */}}
{{- define "ray-cluster.group" -}}
{{- $group := .group -}}
- groupName: {{ .name }}
  replicas: {{ $group.replicas | default 0 }}
  minReplicas: {{ $group.minReplicas | default 0 }}
  maxReplicas: {{ ternary $group.maxReplicas 2147483647 (hasKey $group "maxReplicas") }}
  {{- with $group.numOfHosts }}
  numOfHosts: {{ . }}
  {{- end }}
  rayStartParams:
    {{- toYaml ($group.rayStartParams | default dict) | nindent 4 }}
  template:
    {{- include "ray-cluster.template" (dict "top" .top "group" $group "container" "ray-worker") | nindent 4 }}
{{- end -}}
