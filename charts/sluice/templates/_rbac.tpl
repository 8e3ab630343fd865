{{- /* Rules of a list, those left out that a value turns off. Call: (list rules switches) */}}
{{- define "sluice.rules" -}}
{{- $on := index . 1 -}}
{{- $lines := list -}}
{{- range index . 0 -}}
{{- if or (not .when) (index $on (default "" .when)) -}}
{{- $lines = append $lines (list (dict "apiGroups" .groups "resources" .resources "verbs" .verbs) | toYaml) -}}
{{- end -}}
{{- end -}}
{{- join "\n" $lines -}}
{{- end }}

{{- /* A role and its binding to a component's account; without a namespace for the whole cluster. */}}
{{- define "sluice.role" -}}
{{- $kind := ternary "Role" "ClusterRole" (ne .namespace "") }}
{{- $full := printf "%s-%s" (include "sluice.fullname" .root) .name }}
{{- if not .namespace }}{{- $full = printf "%s-%s" .root.Release.Namespace $full }}{{ end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $full }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "sluice.labels" (list .root .part) | nindent 4 }}
rules:
{{ .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $full }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "sluice.labels" (list .root .part) | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $full }}
subjects:
- kind: ServiceAccount
  name: {{ include "sluice.account" (list .root .part) }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}
