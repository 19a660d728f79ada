"""All that shows a study to the outside while its driver works: begun together, ended together."""

import contextlib
import functools
from collections.abc import Iterator

from study.cluster import TrialResources
from study.progress import Progress
from study.store import StudyStore
from study.watch.gauges import Gauges, ray_instruments, session_folder
from study.watch.heartbeat import Heartbeat
from study.watch.provisioning import provide_dashboard
from study.watch.trial_logs import TrialLogs, open_logs
from trainables.config import TransferConfig
from trainables.data.image_arrays import TrainingData
from trainables.data.transfer_set import transfer_set


@contextlib.contextmanager
def watched(progress: Progress, store: StudyStore, data: TrainingData, resources: TrialResources) -> Iterator[None]:
    """Within, the connected cluster's metrics, the study's logs and its `status.json` follow its progress."""

    @functools.cache
    def images_per_epoch(transfer: TransferConfig) -> int:
        return len(transfer_set(data.train.labels_N, transfer).members_K)

    study, objectives = str(store.paths.root), store.record.objective_metrics
    gauges = Gauges(progress, study, objectives, resources, images_per_epoch, ray_instruments())
    provide = functools.partial(provide_dashboard, session_folder())
    logs = TrialLogs(open_logs(store), progress.line)
    progress.tell_changes_to(gauges.tell)
    progress.tell_changes_to(logs.tell)
    with Heartbeat([progress.beat, gauges.beat, provide]):
        try:
            yield
        finally:
            logs.close()
