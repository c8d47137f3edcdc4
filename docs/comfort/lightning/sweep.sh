for mode in triangular triangular2; do
    for seed in 1 2 3 4 5; do
        python run.py fit --model.mode $mode --seed_everything $seed --trainer.logger CSVLogger \
            --trainer.logger.save_dir runs --trainer.logger.name $mode --trainer.logger.version $seed
    done
done
