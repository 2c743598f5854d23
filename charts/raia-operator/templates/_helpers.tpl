{{- define "raia-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "raia-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "raia-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What is not in a namespace has the release's namespace in its name: two installations do not meet. */}}
{{- define "raia-operator.clusterName" -}}
{{- printf "%s-%s" (include "raia-operator.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "raia-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "raia-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "raia-operator.labels" -}}
{{ include "raia-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "raia-operator.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "raia-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "raia-operator.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{- define "raia-operator.podImage" -}}
{{- with .Values.podImage -}}
{{- if .repository -}}
{{- printf "%s:%s" .repository (.tag | default $.Values.image.tag | default $.Chart.AppVersion) -}}
{{- else -}}
{{- include "raia-operator.image" $ -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The namespaces that are watched, joined by commas; empty: all of them. */}}
{{- define "raia-operator.namespaces" -}}
{{- if .Values.singleNamespaceInstall -}}
{{- .Release.Namespace -}}
{{- else -}}
{{- join "," .Values.watchNamespace -}}
{{- end -}}
{{- end -}}

{{/* What the operator does in a namespace that it watches. Each line is used; see docs/kubernetes.md. */}}
{{- define "raia-operator.rules" -}}
- apiGroups: [ray.io]
  resources: [rayjobs]
  verbs: [list, watch, patch, delete]
- apiGroups: [ray.io] # those of RayJobs are made, too
  resources: [rayclusters]
  verbs: [list, watch, get, create, patch, delete]
- apiGroups: [ray.io]
  resources: [rayclusters/status, rayjobs/status]
  verbs: [patch]
- apiGroups: [ray.io] # owner references that block the owner's deletion
  resources: [rayclusters/finalizers, rayjobs/finalizers]
  verbs: [update]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch, get, create, delete]
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch, get, create, patch, delete]
- apiGroups: [""] # volumes of GCS tables
  resources: [persistentvolumeclaims]
  verbs: [list, watch, get, create]
- apiGroups: [""] # tokens and certificates. Listed and watched as metadata; a token is read to call a head
  resources: [secrets]
  verbs: [list, watch, get, create, patch]
- apiGroups: [batch] # submitters
  resources: [jobs]
  verbs: [list, watch, get, create, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- if .Values.useKubernetesProxy }}
- apiGroups: [""]
  resources: [services/proxy]
  verbs: [get, create]
{{- end }}
{{- end -}}

{{/* What is in no namespace: lost nodes, and whether the installed CRDs are the operator's. */}}
{{- define "raia-operator.clusterRules" -}}
- apiGroups: [""]
  resources: [nodes]
  verbs: [list, watch]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [rayclusters.ray.io, rayjobs.ray.io]
  verbs: [get]
{{- end -}}
