{{- define "model.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "model.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "model.labels" -}}
{{ include "model.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.version }}
app.kubernetes.io/version: {{ . | quote }}
{{- end }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "model.metadata" -}}
name: {{ include "model.name" . }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "model.labels" . | nindent 2 }}
{{- end }}

{{- define "model.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end }}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- define "model.account" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}{{ include "model.name" . }}
{{- else }}default{{ end }}
{{- end }}

{{- define "model.config" -}}
{{ include "model.name" . }}-config
{{- end }}

{{- define "model.hpaMetrics" -}}
{{- if .Values.autoscaling.metrics }}
metrics:
  {{- toYaml .Values.autoscaling.metrics | nindent 2 }}
{{- else }}
metrics:
- type: Resource
  resource:
    name: cpu
    target: {type: Utilization, averageUtilization: {{ .Values.autoscaling.targetCPUUtilizationPercentage }}}
{{- end }}
{{- end }}
