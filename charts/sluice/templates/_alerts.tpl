{{- /* Windows and rates: Google, The Site Reliability Workbook (2018), chapter 5, for 30 days. */}}
{{- define "sluice.alerts" -}}
{{- $name := include "sluice.fullname" . }}
{{- $rule := .Values.metrics.prometheusRule }}
{{- $bad := subf 1 $rule.objective }}
groups:
- name: sluice-releases-records
  rules:
  {{- range $window := list "5m" "30m" "1h" "2h" "6h" "1d" "3d" }}
  # what users saw: failures that the shield replaced are none
  - record: sluice_release:bad_share:ratio_rate{{ $window }}
    expr: |-
      clamp_min(
        sum by (release) (rate(sluice_requests_total{purpose="live",code_class=~"5xx|none"}[{{ $window }}]))
        - sum by (release) (rate(sluice_requests_shielded_total{purpose="live"}[{{ $window }}])), 0)
      / sum by (release) (rate(sluice_requests_total{purpose="live"}[{{ $window }}]))
  {{- end }}
- name: sluice-releases-alerts
  rules:
  {{- range $burn := list (list "page" "1h" "5m" 14.4) (list "page" "6h" "30m" 6) (list "ticket" "1d" "2h" 3) (list "ticket" "3d" "6h" 1) }}
  {{- $limit := mulf (index $burn 3) $bad | printf "%.10g" }}
  - alert: SluiceReleaseErrorBudgetBurn
    expr: sluice_release:bad_share:ratio_rate{{ index $burn 1 }} > {{ $limit }} and sluice_release:bad_share:ratio_rate{{ index $burn 2 }} > {{ $limit }}
    labels:
      severity: {{ index $burn 0 }}
      window: {{ index $burn 1 }}
      {{- with $rule.alertLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    annotations:
      summary: '{{ "{{ $labels.release }}" }} burns its error budget over {{ index $burn 3 }} times too fast (over {{ index $burn 1 }})'
      description: 'Objective: {{ $rule.objective }} of requests answered below 500. kubectl get releases -A says whether a candidate has requests; abort gives them back.'
  {{- end }}
- name: sluice-system
  rules:
  {{- range $alert := list
    (dict "name" "SluiceControllerDown" "severity" "page" "for" "2m"
      "expr" (printf "absent(up{job=\"%s-controller\"} == 1)" $name)
      "summary" "No controller answers: routers keep their weights until leases end, then stable has every request"
      "do" (printf "kubectl -n %s get pods -l app.kubernetes.io/component=controller" .Release.Namespace))
    (dict "name" "SluiceNoLeader" "severity" "page" "for" "2m"
      "expr" "absent(sluice_controller_leader == 1)"
      "summary" "No controller leads: nothing is decided, and the leases of candidates run out"
      "do" (printf "kubectl -n %s get lease sluice-controller -o yaml" .Release.Namespace))
    (dict "name" "SluicePollsFail" "severity" "ticket" "for" "5m"
      "expr" "sum(rate(sluice_controller_polls_failed_total[5m])) > 0.1"
      "summary" "Counters of routers cannot be read: releases hold, because what is not measured is not promoted"
      "do" "The controller's log names the router and the reason")
    (dict "name" "SluiceSlow" "severity" "ticket" "for" "10m"
      "expr" "histogram_quantile(0.99, sum by (le) (rate(sluice_controller_turn_seconds_bucket[5m]))) > 1"
      "summary" "One look at all releases takes over a second: bad candidates are turned back late"
      "do" "Give the controller more CPU (controller.resources), or lengthen poll in the policies")
    (dict "name" "SluiceLeaseExpired" "severity" "page" "for" "1m"
      "expr" "max by (release) (sluice_lease_expired) == 1"
      "summary" "{{ $labels.release }}: the candidate's share is back at stable, because no controller renewed the lease"
      "do" "Look at the controller's log; the share comes back with it")
    (dict "name" "SluiceRouterLags" "severity" "ticket" "for" "2m"
      "expr" "max by (release) (sluice_routing_generation) != min by (release) (sluice_routing_generation)"
      "summary" "{{ $labels.release }}: routers serve different generations of its routing"
      "do" "kubectl describe release names the router that lags; deleting its pod is safe") }}
  - alert: {{ $alert.name }}
    expr: {{ $alert.expr | quote }}
    for: {{ $alert.for }}
    labels:
      severity: {{ $alert.severity }}
      {{- with $rule.alertLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    annotations:
      summary: {{ $alert.summary | quote }}
      description: {{ $alert.do | quote }}
  {{- end }}
  {{- if eq .Values.dataPlane "envoy" }}
  - alert: SluiceRouterDown
    expr: up{job="{{ $name }}-router-agents"} == 0
    for: 2m
    labels:
      severity: ticket
      {{- with $rule.alertLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    annotations:
      summary: 'The agent of router {{ "{{ $labels.pod }}" }} does not answer: releases wait for it'
      description: 'kubectl -n {{ .Release.Namespace }} get pods -l app.kubernetes.io/component=router'
  {{- end }}
{{- end }}
