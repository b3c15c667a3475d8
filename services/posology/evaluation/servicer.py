"""The Evaluation service: decode, delegate, encode."""

from collections.abc import AsyncIterator
from typing import Any

from google.protobuf import struct_pb2

from posology.core import names
from posology.core.jobs import convert as jobs_convert
from posology.core.registrar import Registrar
from posology.core.rpc import context
from posology.core.store import pages
from posology.evaluation import convert
from posology.evaluation.evaluations import Evaluations
from posology.evaluation.verdicts import Verdicts
from posology.v1alpha1 import evaluation_pb2 as pb
from posology.v1alpha1 import evaluation_pb2_grpc, job_pb2


class EvaluationServicer(evaluation_pb2_grpc.EvaluationServicer):
    """See evaluation.proto."""

    def __init__(self, evaluations: Evaluations, verdicts: Verdicts, registrar: Registrar) -> None:
        self._evaluations = evaluations
        self._verdicts = verdicts
        self._registrar = registrar

    async def CreateEvaluation(self, request: pb.CreateEvaluationRequest, _: Any) -> pb.EvaluationJob:
        admitted = await self._evaluations.admit(convert.asked_from_proto(request))
        if request.validate_only:
            checked = convert.evaluation_to_proto(admitted.asked.name, admitted.asked.spec, admitted.source_sha256)
            checked.warnings.extend(admitted.warnings)
            checked.tries.extend(await self._evaluations.expected_tries(admitted))
            return checked
        job = await self._evaluations.create(admitted)
        # The evaluation is made from its suites: what is not listed is collected, and the questions with it.
        await self._registrar.register(names.namespace_of_parent(request.parent), job.spec["suites"])
        return convert.job_to_proto(job)

    async def GetEvaluation(self, request: pb.GetEvaluationRequest, _: Any) -> pb.EvaluationJob:
        return convert.job_to_proto(await self._evaluations.get(request.name))

    async def ListEvaluations(self, request: pb.ListEvaluationsRequest, _: Any) -> pb.ListEvaluationsResponse:
        namespace = names.namespace_of_parent(request.parent)
        page = await self._evaluations.page(namespace, size=request.page_size, token=request.page_token)
        shown = [convert.job_to_proto(job) for job in page.jobs]
        return pb.ListEvaluationsResponse(evaluations=shown, next_page_token=page.next_token)

    async def WatchEvaluation(self, request: job_pb2.WatchJobRequest, _: Any) -> AsyncIterator[job_pb2.JobEvent]:
        async for event in self._evaluations.watch(request.name, request.resume_token):
            yield jobs_convert.job_event_to_proto(event)

    async def CancelEvaluation(self, request: pb.CancelEvaluationRequest, _: Any) -> pb.EvaluationJob:
        return convert.job_to_proto(await self._evaluations.cancel(request.name))

    async def CompareDoses(self, request: pb.CompareDosesRequest, _: Any) -> pb.DoseComparison:
        return convert.window_to_proto(
            await self._evaluations.compare(request.parent, *convert.doses_from_proto(request))
        )

    async def ListEvaluationItems(
        self, request: pb.ListEvaluationItemsRequest, _: Any
    ) -> pb.ListEvaluationItemsResponse:
        """Items in stored order; the token is the place of the next one."""
        lines = await self._evaluations.item_lines(request.name)
        chosen = [line for line in lines if request.suite in ("", line["suite"])]
        scope = f"items/{request.name}/{request.suite}"
        start = int(pages.decode(request.page_token, scope=scope, length=1)[0]) if request.page_token else 0  # type: ignore[arg-type]
        end = start + pages.page_size(request.page_size)
        token = pages.encode((end,), scope=scope) if end < len(chosen) else ""
        shown = [_struct(line) for line in chosen[start:end]]
        return pb.ListEvaluationItemsResponse(items=shown, next_page_token=token)

    async def IssueVerdict(self, request: pb.IssueVerdictRequest, _: Any) -> pb.Verdict:
        asked = convert.to_issue_from_proto(request, run=context.run_id.get())
        issued = await self._verdicts.issue(asked, actor=context.caller.get().subject)
        if issued.artifact:  # again with every repetition: the first one may have ended before the catalog answered
            await self._registrar.register(names.namespace_of_parent(request.parent), issued.artifact)
        return convert.verdict_to_proto(issued)

    async def ListFailures(self, request: pb.ListFailuresRequest, _: Any) -> pb.ListFailuresResponse:
        namespace = names.namespace_of_parent(request.parent)
        return pb.ListFailuresResponse(failures=await self._verdicts.standing(request.model, namespace=namespace))

    async def ListFailedWeights(self, request: pb.ListFailedWeightsRequest, _: Any) -> pb.ListFailedWeightsResponse:
        failures = await self._verdicts.all_standing()
        return pb.ListFailedWeightsResponse(
            failures=[
                pb.FailedWeights(
                    verdict=one.verdict, model=one.model, weight_files=one.weight_files, namespace=one.namespace
                )
                for one in failures
            ]
        )

    async def GetVerdict(self, request: pb.GetVerdictRequest, _: Any) -> pb.Verdict:
        return convert.verdict_to_proto(await self._verdicts.get(request.name))

    async def ListVerdicts(self, request: pb.ListVerdictsRequest, _: Any) -> pb.ListVerdictsResponse:
        namespace = names.namespace_of_parent(request.parent, every=True)
        found, token = await self._verdicts.page(
            namespace, model=request.model, size=request.page_size, token=request.page_token
        )
        return pb.ListVerdictsResponse(verdicts=[convert.verdict_to_proto(v) for v in found], next_page_token=token)


def _struct(line: dict[str, Any]) -> struct_pb2.Struct:
    message = struct_pb2.Struct()
    message.update(line)
    return message
