{{/* The host of the console's address; the values must let people sign in as themselves. */}}
{{- define "posology.consoleHost" -}}
{{- if eq .Values.authentication.mode "token" -}}
{{- fail "console.enabled: people sign in as themselves, so authentication.mode must be oidc or kubernetes" -}}
{{- end -}}
{{- required "console.url: say where browsers find it, https://..." .Values.console.url | trimPrefix "https://" -}}
{{- end -}}

{{/* The hosts that a Gateway of the release listens for because of the console, as JSON. */}}
{{- define "posology.consoleHosts" -}}
{{- if and .Values.console.enabled .Values.console.httpRoute.enabled -}}
{{- list (include "posology.consoleHost" .) | toJson -}}
{{- else -}}[]{{- end -}}
{{- end -}}
