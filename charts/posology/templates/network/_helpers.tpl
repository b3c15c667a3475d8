{{/* Addresses by which NetworkPolicies know the world. Link-local ones are a cloud's metadata: no role needs them unasked. */}}
{{- define "posology.anywhere" -}}
- ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}
- ipBlock: {cidr: "::/0", except: ["fe80::/10"]}
{{- end -}}
{{- define "posology.internet" -}}
- ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]}
- ipBlock: {cidr: "::/0", except: ["fc00::/7", "fe80::/10"]}
{{- end -}}

{{/* The port of a URL. */}}
{{- define "posology.portOf" -}}
{{- $url := urlParse . -}}
{{- if contains ":" (regexReplaceAll "^\\[[^]]*\\]" $url.host "") -}}{{ regexFind "[0-9]+$" $url.host }}
{{- else -}}{{ ternary "80" "443" (eq $url.scheme "http") }}{{- end -}}
{{- end -}}

{{/* Where one of networkPolicy.destinations is, as egress rules; nothing where nobody needs it: dict "root" $ "kind" name. */}}
{{- define "posology.destination" -}}
{{- $v := .root.Values -}}
{{- $named := index $v.networkPolicy.destinations .kind | default dict -}}
{{- $peers := list -}}
{{- range $named.to -}}
{{- $peers = append $peers (ternary (dict "ipBlock" (dict "cidr" .)) . (kindIs "string" .)) -}}
{{- end -}}
{{- $open := not $v.networkPolicy.egress -}}
{{- $rules := list -}}
{{- if eq .kind "dns" -}}
{{- $rules = append $rules (dict "to" $peers "ports" $named.ports) -}}
{{- else if $peers -}}
{{- $rules = append $rules (dict "to" $peers "ports" $named.ports) -}}
{{- else if not $open -}}
{{- else if eq .kind "objectStore" -}}
{{- range list "candidates" "released" "staging" -}}
{{- if and (not $rules) (regexMatch "^[a-z0-9]+://" (index $v.storage .)) (not (hasPrefix "file://" (index $v.storage .))) -}}
{{- $rules = append $rules (dict "to" (include "posology.anywhere" . | fromYamlArray) "ports" $named.ports) -}}
{{- end -}}
{{- end -}}
{{- if and (not $rules) $v.sources.uris -}}
{{- $rules = append $rules (dict "to" (include "posology.anywhere" . | fromYamlArray) "ports" $named.ports) -}}
{{- end -}}
{{- else if eq .kind "modelEndpoints" -}}
{{- range $endpoint := $v.modelEndpoints -}}
{{- $addresses := include (ternary "posology.anywhere" "posology.internet" (eq true $endpoint.allowPrivate)) . | fromYamlArray -}}
{{- $rules = append $rules (dict "to" $addresses "ports" (list (include "posology.portOf" $endpoint.address | int))) -}}
{{- end -}}
{{- else if eq .kind "hub" -}}
{{- $fetches := false -}}
{{- range $v.sources.models -}}{{- if hasPrefix "hf:" . -}}{{- $fetches = true -}}{{- end -}}{{- end -}}
{{- if and $fetches $v.sources.hub -}}
{{- $rules = append $rules (dict "to" (include "posology.anywhere" . | fromYamlArray) "ports" (list (include "posology.portOf" $v.sources.hub | int))) -}}
{{- else if $fetches -}}
{{- $rules = append $rules (dict "to" (include "posology.internet" . | fromYamlArray) "ports" $named.ports) -}}
{{- end -}}
{{- else if has .kind (list "collector" "tracker") -}}
{{- $told := $v.telemetry | default dict -}}
{{- with ternary $told.otlpEndpoint $told.mlflowTrackingUri (eq .kind "collector") -}}
{{- $rules = append $rules (dict "to" (include "posology.anywhere" . | fromYamlArray) "ports" (list (include "posology.portOf" . | int))) -}}
{{- end -}}
{{- else if eq .kind "identityProvider" -}}
{{- if eq $v.authentication.mode "oidc" -}}
{{- $rules = append $rules (dict "to" (include "posology.anywhere" . | fromYamlArray) "ports" (list (include "posology.portOf" $v.authentication.oidc.issuer | int))) -}}
{{- end -}}
{{- else -}}
{{- $rules = append $rules (dict "to" (include "posology.anywhere" . | fromYamlArray) "ports" $named.ports) -}}
{{- end -}}
{{- range $rule := uniq $rules }}
- ports:
  {{- range $rule.ports }}
  - {port: {{ . }}}
  {{- if eq $.kind "dns" }}
  - {port: {{ . }}, protocol: UDP}
  {{- end }}
  {{- end }}
  {{- with $rule.to }}
  to: {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* Pods of a component of this release, as a peer: dict "root" $ "components" list. */}}
{{- define "posology.peer" -}}
namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: {{ .root.Release.Namespace }}}}
podSelector:
  matchLabels: {app.kubernetes.io/name: posology, app.kubernetes.io/instance: {{ .root.Release.Name }}}
  matchExpressions: [{key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}]
{{- end -}}
