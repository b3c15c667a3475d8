{{/* A door without TLS is no door: dict "door" values "path" where they stand. */}}
{{- define "posology.doorTls" -}}
{{- if not (or .door.tlsSecret .door.tlsElsewhere) -}}
{{- fail (printf "%s.tlsSecret: name the Secret with the certificate, or say that a load balancer in front ends TLS: %s.tlsElsewhere" .path .path) -}}
{{- end -}}
{{- end -}}

{{/* The proto services behind the gRPC doors, as JSON: service -> names. Workers' own service stays inside. */}}
{{- define "posology.grpcNames" -}}
{{- dict "orchestrator" (list "Orchestrator" "Catalog") "curation" (list "Curation") "training" (list "Training")
  "evaluation" (list "Evaluation") "serving" (list "Serving") "gateway" (list "Gateway") | toJson -}}
{{- end -}}
