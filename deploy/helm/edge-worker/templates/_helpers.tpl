{{- define "edge-worker.fullname" -}}
{{- if contains "edge-worker" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-edge-worker" .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that select; called with (dict "root" $ "component" "worker"). */}}
{{- define "edge-worker.selector" -}}
app.kubernetes.io/name: edge-worker
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "edge-worker.labels" -}}
{{ include "edge-worker.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
{{- end -}}

{{- define "edge-worker.secretName" -}}
{{- .Values.secrets.existing | default (include "edge-worker.fullname" .) -}}
{{- end -}}

{{- define "edge-worker.brokerPort" -}}
{{- with .Values.config.mqtt -}}
{{- if $.Values.broker.enabled -}}1883
{{- else -}}{{- int (.port | default (ternary 8883 1883 (not (kindIs "invalid" .tls)))) -}}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "edge-worker.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "edge-worker.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* How worker and gateway reach the broker; called with (dict "root" $ "username" …). */}}
{{- define "edge-worker.brokerEnv" -}}
{{- if .root.Values.broker.enabled }}
- {name: EDGE_WORKER__MQTT__HOST, value: {{ include "edge-worker.fullname" .root }}-broker}
- {name: EDGE_WORKER__MQTT__ALLOW_PLAINTEXT, value: "true"}
{{- end }}
{{- if include "edge-worker.hasLogin" .root }}
- {name: EDGE_WORKER__MQTT__USERNAME, value: {{ .username | quote }}}
- {name: CREDENTIALS_DIRECTORY, value: /run/edge-worker/secrets} # with mqtt-password, as from systemd
{{- end }}
{{- end -}}

{{- define "edge-worker.hasLogin" -}}
{{- if or .Values.broker.enabled .Values.config.mqtt.username }}yes{{ end -}}
{{- end -}}

{{/* Mounts that worker and gateway share, and their volumes; the latter with (dict "root" $ "secrets" (dict KEY FILE …)). */}}
{{- define "edge-worker.mounts" -}}
- {name: config, mountPath: /etc/edge-worker, readOnly: true}
- {name: secrets, mountPath: /run/edge-worker/secrets, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.tlsSecret }}
- {name: tls, mountPath: /run/edge-worker/tls, readOnly: true}
{{- end }}
{{- end -}}

{{- define "edge-worker.volumes" -}}
- name: config
  configMap: {name: {{ include "edge-worker.fullname" .root }}}
- name: secrets
  {{- if .secrets }}
  secret:
    secretName: {{ include "edge-worker.secretName" .root }}
    defaultMode: 0440
    items:
      {{- range $key, $file := .secrets }}
      - {key: {{ $key }}, path: {{ $file }}}
      {{- end }}
  {{- else }}
  emptyDir: {}
  {{- end }}
- name: tmp
  emptyDir: {}
{{- with .root.Values.tlsSecret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* Where pods may run, and a restart when the configuration or a secret of the chart changes. */}}
{{- define "edge-worker.placement" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "edge-worker.checksum" -}}
checksum/config: {{ list .Values.config .Values.secrets | toJson | sha256sum }}
{{- end -}}
