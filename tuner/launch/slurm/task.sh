#!/bin/bash
# One worker, as a task of a Slurm array job. It writes down how it ended, since Slurm forgets a job within minutes.
task=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
ended=$TUNER_LAUNCH_FOLDER/$task.ended
told= out_of_time= worker=
leave() {
  told=yes interrupted=yes
  [ -z "$worker" ] || kill -TERM "$worker" 2>/dev/null
}
# SIGTERM: preempted, requeued or cancelled, and Slurm knows which. SIGUSR1: the time limit is near, and this task comes back.
trap leave TERM
trap 'out_of_time=yes; leave' USR1

rm -f "$ended"
# The launch's own preparations come in place of this line.
#setup
export TUNER_WORKER=${TUNER_WORKER//@INDEX@/$SLURM_ARRAY_TASK_ID}
echo "--- task $task on $(hostname), start $((${SLURM_RESTART_COUNT:-0} + 1))"
"$TUNER_PYTHON" -m tuner.worker &
worker=$!
[ -z "$told" ] || leave
# A signal ends a wait before the worker has left.
while true; do
  interrupted=
  wait "$worker"
  code=$?
  [ -n "$interrupted" ] || break
done
# 143: it was told to leave before it had begun to listen.
if [ -n "$told" ] && [ "$code" = 143 ]; then code=0; fi

how=finished
[ -z "$told" ] || how=stopped
[ "$code" = 0 ] || how="failed with exit code $code"
if [ -n "$out_of_time" ] && [ "$code" = 0 ]; then
  echo "--- the time limit is near: task $task is queued again"
  scontrol requeue "$SLURM_JOB_ID" && exit 0
  how="failed: it could not be queued again"
fi
echo "$how" >"$ended.new" && mv "$ended.new" "$ended"
exit "$code"
