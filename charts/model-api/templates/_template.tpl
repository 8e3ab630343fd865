{{- /* The pod template, the same for a Deployment and a Release. */}}
{{- define "model.template" -}}
{{- $b := .Values.bundle }}
metadata:
  labels:
    {{- include "model.selector" . | nindent 4 }}
    {{- with .Values.version }}
    app.kubernetes.io/version: {{ . | quote }}
    {{- end }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $config := and .Values.config (not .Values.release.enabled) }}
  {{- if or $config .Values.podAnnotations }}
  annotations:
    {{- if $config }}
    checksum/config: {{ .Values.config | toJson | sha256sum }}
    {{- end }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ include "model.account" . }}
  automountServiceAccountToken: {{ .Values.serviceAccount.mountToken }}
  # variables of other Services, such as MODEL_API_PORT, would be read as settings
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if or $b.verify (eq $b.from "fetch") }}
  initContainers:
  {{- if eq $b.from "fetch" }}
  - name: fetch
    image: {{ $b.fetch.image }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command:
      {{- toYaml $b.fetch.command | nindent 6 }}
    {{- with $b.fetch.env }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    resources:
      {{- toYaml $b.fetch.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
    - {name: models, mountPath: /models}
    - {name: tmp, mountPath: /tmp}
  {{- end }}
  {{- if $b.verify }}
  - name: verify
    image: {{ include "model.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    command: [model-api, bundle, verify, {{ $b.path | quote }}{{ with $b.digest }}, --digest, {{ . | quote }}{{ end }}]
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- if ne $b.from "image" }}
    - {name: models, mountPath: /models, readOnly: true}
    {{- end }}
  {{- end }}
  {{- end }}
  containers:
  - name: model
    image: {{ include "model.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- with .Values.command }}
    command:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
    - {name: PORT, value: {{ .Values.port | quote }}}
    {{- with $b.path }}
    - {name: MODEL_API_BUNDLE, value: {{ . | quote }}}
    {{- end }}
    {{- with $b.digest }}
    - {name: MODEL_API_DIGEST, value: {{ . | quote }}}
    {{- end }}
    {{- with .Values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- if or .Values.config .Values.envFrom }}
    envFrom:
    {{- if .Values.config }}
    - configMapRef: {name: {{ include "model.config" . }}}
    {{- end }}
    {{- with .Values.envFrom }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- end }}
    ports:
    - {name: http, containerPort: {{ .Values.port }}}
    {{- range $probe := list "startupProbe" "readinessProbe" "livenessProbe" }}
    {{- with index $.Values $probe }}
    {{ $probe }}:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- end }}
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- if ne $b.from "image" }}
    - {name: models, mountPath: /models, readOnly: true}
    {{- end }}
    {{- with .Values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
  - name: tmp
    emptyDir: {sizeLimit: 64Mi}
  {{- if eq $b.from "volume" }}
  - name: models
    {{- toYaml $b.volume | nindent 4 }}
  {{- else if eq $b.from "fetch" }}
  - name: models
    emptyDir: {sizeLimit: {{ $b.fetch.sizeLimit }}}
  {{- end }}
  {{- with .Values.volumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
