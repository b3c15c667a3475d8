{{/* Who makes certificates: cert-manager, given (a Secret), or made (by the release); empty without TLS. */}}
{{- define "posology.tlsMode" -}}
{{- $tls := .Values.tls -}}
{{- if and $tls.certManager.enabled (or $tls.secret $tls.workSecret) -}}{{- fail "tls.secret, tls.workSecret, tls.certManager.enabled: bring certificates or have cert-manager make them, not both" -}}{{- end -}}
{{- if and $tls.workSecret (not $tls.secret) -}}{{- fail "tls.workSecret: goes with tls.secret, which is for the services" -}}{{- end -}}
{{- if not $tls.enabled -}}
{{- else if $tls.certManager.enabled -}}cert-manager
{{- else if $tls.secret -}}given
{{- else if .Values.credentials.create -}}made
{{- else -}}{{ fail "tls.secret: name a Secret with ca.crt, tls.crt and tls.key, or set tls.certManager.enabled; with credentials.create off the release makes none" }}{{- end -}}
{{- end -}}

{{/* Secret with ca.crt, tls.crt and tls.key of a service or of workers; empty without TLS: dict "root" $ "service" name. */}}
{{- define "posology.tlsSecret" -}}
{{- $tls := .root.Values.tls -}}
{{- $mode := include "posology.tlsMode" .root -}}
{{- if not $mode -}}
{{- else if eq $mode "given" -}}{{ ternary ($tls.workSecret | default $tls.secret) $tls.secret (has .service (list "worker" "engine")) }}
{{- else -}}{{ include "posology.name" .root }}-tls-{{ .service }}{{- end -}}
{{- end -}}

{{/* Where a service finds its certificate: dict "root" $ "service" name. */}}
{{- define "posology.tlsEnv" -}}
{{- if .root.Values.tls.enabled }}
- {name: POSOLOGY_TLS_CERT_FILE, value: /etc/posology/tls/tls.crt}
- {name: POSOLOGY_TLS_KEY_FILE, value: /etc/posology/tls/tls.key}
- {name: POSOLOGY_TLS_CA_FILE, value: /etc/posology/tls/ca.crt}
{{- end }}
{{- end -}}

{{/* The beginning of a probe that asks whether a service takes calls. The kubelet speaks no gRPC over TLS. */}}
{{- define "posology.serves" -}}
{{- if .Values.tls.enabled -}}{httpGet: {path: /ready, port: metrics}{{- else -}}{grpc: {port: 7410}{{- end -}}
{{- end -}}
