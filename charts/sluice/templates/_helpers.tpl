{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Selectors hold nothing that an upgrade changes. Call: (list $ component) */}}
{{- define "sluice.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "sluice.labels" -}}
{{- $ := index . 0 -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/managed-by: {{ $.Release.Service }}
app.kubernetes.io/version: {{ $.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_" }}
{{- with $.Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "sluice.metadata" -}}
{{- $ := index . 0 -}}
name: {{ include "sluice.fullname" $ }}-{{ index . 1 }}
namespace: {{ $.Release.Namespace }}
labels:
  {{- include "sluice.labels" . | nindent 2 }}
{{- end }}

{{- /* Call: (list $ image) */}}
{{- define "sluice.image" -}}
{{- $ := index . 0 -}}{{- $image := index . 1 -}}
{{- $registry := default $.Values.imageRegistry $image.registry -}}
{{- with $registry }}{{ . }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $.Chart.AppVersion $image.tag }}{{ end }}
{{- end }}

{{- define "sluice.account" -}}
{{- $ := index . 0 -}}{{- $name := (index $.Values (index . 1)).serviceAccount.name -}}
{{- default (printf "%s-%s" (include "sluice.fullname" $) (index . 1)) $name }}
{{- end }}

{{- define "sluice.tokenSecret" -}}
{{- default (printf "%s-agent" (include "sluice.fullname" .)) .Values.agentToken.existingSecret }}
{{- end }}

{{- /* Everything of a pod that both components spell alike. Call: (list $ component) */}}
{{- define "sluice.pod" -}}
{{- $ := index . 0 -}}{{- $part := index $.Values (index . 1) -}}
serviceAccountName: {{ include "sluice.account" . }}
enableServiceLinks: false
securityContext:
  {{- toYaml $part.podSecurityContext | nindent 2 }}
{{- with $.Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with $part.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $part.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $part.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
{{- if $part.affinity }}
  {{- toYaml $part.affinity | nindent 2 }}
{{- else }}
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "sluice.selector" . | nindent 12 }}
{{- end }}
{{- end }}

{{- define "sluice.podMetadata" -}}
{{- $ := index . 0 -}}{{- $part := index $.Values (index . 1) -}}
labels:
  {{- /* no version: an upgrade that changes nothing of the pods must not restart them */}}
  {{- include "sluice.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: sluice
  {{- with $part.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $part.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "sluice.budget" -}}
{{- $ := index . 0 -}}{{- $budget := (index $.Values (index . 1)).podDisruptionBudget -}}
{{- if $budget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "sluice.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $budget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "sluice.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{- define "sluice.serviceAccount" -}}
{{- $ := index . 0 -}}{{- $account := (index $.Values (index . 1)).serviceAccount -}}
{{- if $account.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "sluice.account" . }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "sluice.labels" . | nindent 4 }}
  {{- with $account.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end }}

{{- /* The account's token for the one container that talks to the API server. */}}
{{- define "sluice.apiVolume" -}}
- name: api
  projected:
    defaultMode: 0440
    sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3600}
    - configMap:
        name: kube-root-ca.crt
        items: [{key: ca.crt, path: ca.crt}]
    - downwardAPI:
        items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
{{- end }}

{{- define "sluice.apiMount" -}}
{name: api, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}
